"""Data in: files and arrays to batches, and the bundled playground.

Nothing is imported here, so that `from keras_imp.data import playground`
costs no more than the module it names.
"""
