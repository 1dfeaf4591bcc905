"""What notices that agents go wrong: pure folds over plain observations with given time, one module a detector."""
