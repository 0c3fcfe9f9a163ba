"""The laws that tconvjax keeps."""
