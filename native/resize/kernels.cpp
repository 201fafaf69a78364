#include "resize/filter.h"
