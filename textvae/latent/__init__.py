"""Operations on latent vectors: interpolation, directions, units, subsets, clusters and others."""
