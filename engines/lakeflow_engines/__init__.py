"""What runs the work: hand-offs between Arrow and data frames, and executors behind one seam."""
