"""Files of sentence vectors, written in parts that an interrupted run can resume."""
