"""The values live in ``correlate.model.verdicts`` (alerting needs them too); import them from there."""

from correlate.model.verdicts import Guard, Site, Tier, Verdict

__all__ = ["Guard", "Site", "Tier", "Verdict"]
