"""The commands of the command line; `tconvjax.__main__` reads its words and calls them."""
