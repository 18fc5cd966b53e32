"""How a study is run: executors, workers, and estimates of time and memory."""
