"""Where rows live: Delta tables of Parquet for telemetry, SQL for state.

Roads through this package::

    submit ─ queue ─ committer ─ ledger (drops what is known) ─ parquet ─ delta_log      writing
    query ─ delta_log ─ index (row groups) ─ reader ─ frame                              reading
    maintenance ─ merge · retention · vacuum ─ delta_log                                 beside both

**What an acknowledgement promises.** A resolved future means that the rows are in a committed version of their table:
the Parquet files were closed and the Delta log entry naming them was created atomically. ``kill -9`` of the process at
any moment loses nothing acknowledged and shows nothing half-written. On a local disk without ``fsync`` a power loss or
kernel crash may lose what the operating system had not written back yet (on Linux up to about 30 seconds); with
``LakeOptions(fsync=True)`` data files, log entries and their folders are flushed before a future resolves. On S3 an
object exists completely or not at all once the service confirmed it, and conditional puts decide who wins a version.

**How a payload that touches several tables becomes visible at once.** Series, frames and stacks are written first and
are harmless alone. Spans are one commit to one table. A batch of profiles is two: ``profiles``, then ``samples``, the
commit that counts. The file names in ``profiles`` carry the writer and the number of the batch, and the commit to
``samples`` carries the same pair as a Delta application transaction; readers ignore files in ``profiles`` whose batch
never reached ``samples``, and maintenance sweeps them.
"""
