// What the examples print.
#pragma once

#include <stdint.h>

#include "trilane.h"

// Ends the program with the message of a status, unless that is OK.
void expect_ok(trilane_status status);

// 16 digits.
void print_hex(uint64_t value);

// Decimal.
void print_number(uint32_t value);
