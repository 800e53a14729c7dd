"""Operations on latent vectors: interpolation, directions, units, neighbors, clusters, others."""
