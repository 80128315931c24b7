"""Waveforms to log-mel spectrograms; the layer is an encoder's own too."""

from keras_imp.layers.log_mel import LogMel, mel_weights

__all__ = ["LogMel", "mel_weights"]
