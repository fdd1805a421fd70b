"""What is asked: networks, tasks, data and the float64 truth. NumPy only."""
