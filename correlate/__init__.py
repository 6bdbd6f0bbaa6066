"""correlate: the flame graph of any span.

The product itself: formats, tables, storage, joins, flame graphs, services, API and command line. It knows neither
where bytes come from (that is ``connectors``) nor who schedules work (that is ``workers``).
"""

__version__ = "0.1.0"
