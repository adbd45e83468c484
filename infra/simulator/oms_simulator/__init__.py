"""A stand-in for Huawei Cloud OMS over real HTTP. It shares no code with the function that it tests."""
