def convert(feet):
    return round(feet * 0.3048, 3)
