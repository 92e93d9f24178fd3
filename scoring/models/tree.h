/* A decision tree of a model, as plain data: what model_file.c has checked and forest.c compiles.
 *
 * Nodes stand level by level from the root at 0, so a child comes after its parent, and the two children of a node
 * side by side.  A row goes to the left if its feature is below the threshold, else to the right; a missing one
 * (NaN) goes where the node says. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct tree_node {
    float value;   /* a split's threshold, a leaf's value */
    uint32_t left; /* the right child is the next one; 0: a leaf */
    uint16_t feature;
    bool default_left;
    float cover; /* sum of the hessians of the rows that were learned from here */
    float gain;  /* of a split: by how much it lowered the loss */
};

struct tree {
    uint32_t node_count;
    struct tree_node *nodes;
};
