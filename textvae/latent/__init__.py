"""The latent space at work: decoding strategies, random streams, paths between sentences."""
