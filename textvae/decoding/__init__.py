"""From latent vectors to token ids: sampling, top-k, top-p, greedy and beam search."""
