"""What the command line is made of; `tconvjax.__main__` puts it together."""
