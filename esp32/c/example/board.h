// What the example needs of a board.
#pragma once

// Writes a string to the console.
void board_print(const char *text);

// Ends the program; 0 is success.
_Noreturn void board_exit(int status);
