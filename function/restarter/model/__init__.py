"""The values that flow through the function, by concern. They import nothing else of ours.

All are frozen. Those that each delivery makes anew are named tuples, where nothing in them has to stay out of `repr`:
they cost a fifth of a frozen dataclass to make. Those with many fields are made by keyword.
"""
