"""Recordings to waveforms to images: what training, rendering, audit and identification share."""
