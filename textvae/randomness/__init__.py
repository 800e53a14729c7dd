"""Every seed and random stream: the noise of a training step, the stream of each sample."""
