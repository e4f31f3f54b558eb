"""State shared by api and worker: rows, blobs and wake-up calls."""
