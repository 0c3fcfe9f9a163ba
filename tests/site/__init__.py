"""The documentation as a site: built, opened in a browser, and broken on purpose."""
