"""What earlier versions have written to Redis, one file a version: later ones must open it.

    python -m tests.records.write        # at a release: makes the file of this version

`kept` in such a file are the records' keys, their sealed bytes, and the fields that were sealed.
"""
