"""Teaching: networks written out in NumPy, to read beside the frameworks' own."""
