"""Programs that run where TensorFlow Data Validation is.

That may be an environment without keras_imp, so they import nothing of it: a
program finds the files beside it by their names.
"""
