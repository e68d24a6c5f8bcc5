"""From audio files to an index, a split, waveforms and what is stored of them."""
