"""Seeds and random streams: the noise of each training step, the stream of each sample."""
