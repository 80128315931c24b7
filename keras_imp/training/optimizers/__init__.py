"""How weights are updated: AdamW by groups, Muon, learning rates, recipes."""

from keras_imp.training.optimizers.adamw import AdamW
from keras_imp.training.optimizers.cosine_with_warmup import CosineWithWarmup
from keras_imp.training.optimizers.muon import Muon
from keras_imp.training.optimizers.recipes import imp_recipe

__all__ = ["AdamW", "CosineWithWarmup", "Muon", "imp_recipe"]
