"""How voices change with age, from the literature: our licensed speech is of adults whose age is not told.

All rules are relative to an adult between 20 and 45, and continuous, so that an apparent age may wander a little.
"""

import numpy as np

# Two years early and drawn out: an apparent age errs by six years, and a man with a boy's voice is the worse mistake.
_BREAK_YEARS = (9.0, 13.0)
_GROWN_YEARS = 16.0
_TRACT_PER_YEAR = 0.018


def voice_maleness(male: float, age: float) -> float:
    """How much of a man's voice, 0 to 1: boys have none before their voice breaks.

    Source:
        Lee, Potamianos and Narayanan 1997 (http://www.auditory.org/asamtgs/asa97pen/5aSC/5aSC5.html): the rapid change
        of male pitch lies between 12 and 15 years.
    """
    return male * float(np.interp(age, _BREAK_YEARS, (0.0, 1.0)))


def f0_shift_semitones(maleness: float, age: float) -> float:
    """Semitones by which age moves the mean F0, for women and children (``maleness`` 0) to men (1).

    Source:
        Children: 0.352 a^2 - 12.944 a + 340.479 Hz at age a, 623 recordings of girls from 8 to 16 years
        (https://voicefoundation.org/view/2025-abstracts/entry/2809). Women fall after the menopause: about 1.6
        semitones from the forties to the sixties in Stoicheff 1981. Men rise in old age: from 107 to 146 Hz between the
        forties and the eighties in Hollien and Shipp 1972 (https://doi.org/10.1121/1.1981297), but slightly in Nishio
        and Niimi 2008 (https://doi.org/10.1159/000118510); we take 2 semitones.
    """
    years = float(np.clip(age, 4.0, _GROWN_YEARS))
    child = 12 * np.log2(_girls_f0_hz(years) / _girls_f0_hz(_GROWN_YEARS))
    woman = np.interp(age, (45.0, 65.0), (0.0, -1.6))
    man = np.interp(age, (60.0, 85.0), (0.0, 2.0))
    return float(child * (1 - maleness) + woman * (1 - maleness) + man * maleness)


def tract_factor(maleness: float, age: float) -> float:
    """Length of the vocal tract against that of a grown woman, or of a man where ``maleness`` is 1.

    Source:
        Formants scale with the tract's length through childhood (Turner et al. 2009,
        https://doi.org/10.1121/1.3079772); the tract grows to 16 years and no more in old age (Vorperian et al. 2009,
        https://doi.org/10.1121/1.3075589). The 1.8 % a year is a straight line through those data, not a fit.
    """
    missing_years = _GROWN_YEARS - float(np.clip(age, 4.0, _GROWN_YEARS))
    return 1 - _TRACT_PER_YEAR * missing_years * (1 - maleness)


def _girls_f0_hz(age: float) -> float:
    return 0.352 * age**2 - 12.944 * age + 340.479
