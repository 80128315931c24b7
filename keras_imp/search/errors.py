"""What a search refuses."""


class SearchError(ValueError):
    """Raised when an index, a model and a query do not fit each other.

    Example:
        >>> from keras_imp.search import Index, SearchError
        >>> try:
        ...     Index.open("nowhere")
        ... except SearchError as error:
        ...     print(str(error)[:30])
        The folder must be an index. R
    """
