"""Operations on latent vectors: clusters, interpolation, quantization, units, subsets."""
