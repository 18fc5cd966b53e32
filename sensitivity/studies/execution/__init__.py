"""Running a study: executors, workers, and estimates of time and memory."""
