"""How much one request may hold. What exceeds a limit is refused, and the message names the limit."""

from typing import Final

MAX_RAW_BYTES: Final = 64 << 20
"""Bytes of one profile after decompression, and of all profiles of one request together."""

MAX_STACK_FRAMES: Final = 10_000
"""Frames of one stack. Of a deeper one the frames nearest to the leaf are kept: they carry the cost."""

MAX_INLINED_FRAMES: Final = 10_000
"""Lines of one pprof location."""

MAX_PROFILE_FRAMES: Final = 1 << 24
"""Frames of all stacks of one request together: small payloads can name the same deep stacks again and again."""

MAX_PROFILE_SAMPLES: Final = 2_000_000
"""Samples of all pprof profiles of one request together; each becomes a row per sample type."""

MAX_LABEL_PAIRS: Final = 100_000
"""Distinct key-value pairs on the samples of one profile, ids included."""

MAX_LABEL_SETS: Final = 10_000
"""Distinct sets of labels (ids left out) on the samples of one profile: each becomes a series."""

MAX_COLLAPSED_LINES: Final = 2_000_000
"""Lines of one upload of collapsed stacks."""

MAX_PUSH_ITEMS: Final = 100_000
"""Series, labels and profiles of one Pyroscope push, counted together."""

MAX_JSON_VALUES: Final = 2_000_000
"""Values of one JSON body: each becomes an object of many times its size. Larger batches go as protobuf."""
