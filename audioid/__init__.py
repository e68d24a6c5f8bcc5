"""Which picture of sound, Fourier or wavelet, lets a neural network tell recordings apart."""
