//! Elementary functions with a defined operation order.
