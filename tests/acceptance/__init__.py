"""The main job, over real sockets, as a user would meet it."""
