"""A simulator that emits traces and profiles of one process world, and knows to which span every sample belongs.

`world.World` says what the world is like, `simulate.simulate` runs it, `wire` writes it as the bytes that clients send.
"""
