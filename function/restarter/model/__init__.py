"""The values that flow through the function, by concern. They import none of our other packages.

All are immutable. Most values that each delivery creates are named tuples: creating one takes a fifth of the time of a
frozen dataclass. Those with many fields are created by keyword.
"""
