"""The admin API: who may, what is kept, whose keys, what was done."""
