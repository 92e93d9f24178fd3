#include "scoring/models/model_file.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/models/model_document.h"

static const char *const objective_names[] = {"binary:logistic", "binary:logitraw", "reg:squarederror"};

const char *objective_name(enum objective objective)
{
    return objective_names[objective];
}

/* Takes a text that is wholly an integer of 0..max, as XGBoost writes its parameters. */
static int read_parameter(const struct node *object, const char *key, size_t max, size_t *out, struct err *err)
{
    const struct node *n = node_member(object, key);
    if (!n || n->kind != NODE_TEXT || n->count == 0 || n->count > 9 || strspn(n->text, "0123456789") != n->count)
        return err_set(err, "%s is missing or no whole number", key);
    size_t value = strtoul(n->text, NULL, 10);
    if (value > max)
        return err_set(err, "%s is %zu, at most %zu can be taken", key, value, max);
    *out = value;
    return 0;
}

static const struct node *member_of_kind(const struct node *object, const char *key, enum node_kind kind, struct err *err)
{
    const struct node *n = node_member(object, key);
    if (n && n->kind == kind)
        return n;
    if (n && kind == NODE_NUMBERS && n->kind == NODE_ARRAY && n->count == 0)
        return n;
    err_set(err, "%s is missing or of the wrong type", key);
    return NULL;
}

static int read_version(struct model_file *file, const struct node *root, struct err *err)
{
    const struct node *v = member_of_kind(root, "version", NODE_NUMBERS, err);
    if (!v)
        return -1;
    for (size_t i = 0; i < 3; i++) {
        double part = i < v->count ? v->numbers[i] : -1;
        if (!(part >= 0 && part < 10000) || part != floor(part))
            return err_set(err, "version is not three whole numbers");
        file->version[i] = (int)part;
    }
    return 0;
}

/* The text of a name, kept in full: a zero byte inside would make two different names look equal. */
static const char *plain_text(const struct node *n)
{
    return n && n->kind == NODE_TEXT && n->count > 0 && strlen(n->text) == n->count ? n->text : NULL;
}

static int read_objective(struct model_file *file, const struct node *learner, struct err *err)
{
    const char *name = plain_text(node_member(node_member(learner, "objective"), "name"));
    for (size_t i = 0; name && i < sizeof objective_names / sizeof *objective_names; i++)
        if (!strcmp(name, objective_names[i])) {
            file->objective = (enum objective)i;
            return 0;
        }
    return err_set(err, "the objective is %.100s; weir scores binary:logistic, binary:logitraw and reg:squarederror", name ? name : "not named");
}

/* "5E-1" up to release 3.0, "[5E-1]" since; older and newer trainings may leave it out of (0,1) only for margins. */
static int read_base_score(struct model_file *file, const struct node *parameters, struct err *err)
{
    const char *text = plain_text(node_member(parameters, "base_score"));
    if (!text)
        return err_set(err, "base_score is missing");
    bool list = *text == '[';
    char *rest;
    double value = strtod(text + list, &rest);
    if (rest == text + list || strcmp(rest, list ? "]" : "") || !isfinite(value))
        return err_set(err, "base_score '%.40s' is not one number", text);
    if (file->objective == OBJECTIVE_LOGISTIC && !(value >= 0 && value <= 1))
        return err_set(err, "base_score '%.40s' is no probability", text);
    file->base_score = (float)value;
    return 0;
}

static int read_parameters(struct model_file *file, const struct node *learner, struct err *err)
{
    const struct node *parameters = member_of_kind(learner, "learner_model_param", NODE_OBJECT, err);
    size_t classes, targets = 1;
    if (!parameters || read_parameter(parameters, "num_feature", MODEL_FEATURES_MAX, &file->feature_count, err) < 0 ||
        read_parameter(parameters, "num_class", 999999999, &classes, err) < 0)
        return -1;
    if (node_member(parameters, "num_target") && read_parameter(parameters, "num_target", 999999999, &targets, err) < 0)
        return -1;
    if (classes > 1 || targets > 1)
        return err_set(err, "the model has %zu outputs; weir scores models of one", classes > 1 ? classes : targets);
    if (file->feature_count == 0)
        return err_set(err, "the model has no features");
    return read_base_score(file, parameters, err);
}

static int read_feature_names(struct model_file *file, const struct node *learner, struct err *err)
{
    const struct node *names = node_member(learner, "feature_names");
    if (!names || names->count == 0)
        return 0;
    if (names->kind != NODE_ARRAY || names->count != file->feature_count)
        return err_set(err, "feature_names has %u names for %zu features", names->count, file->feature_count);
    if (!(file->feature_names = calloc(file->feature_count, sizeof *file->feature_names)))
        return err_set(err, "memory is short");
    for (size_t i = 0; i < file->feature_count; i++) {
        const char *name = plain_text(&names->members[i].value);
        if (!name)
            return err_set(err, "feature_names: name %zu is empty or no text", i);
        if (!(file->feature_names[i] = strdup(name)))
            return err_set(err, "memory is short");
    }
    return 0;
}

/* One tree */

enum tree_array { LEFT, RIGHT, PARENT, FEATURE, THRESHOLD, DEFAULT_LEFT, LOSS, HESSIAN, WEIGHT, TREE_ARRAYS };

static const char *const tree_array_names[TREE_ARRAYS] = {"left_children", "right_children", "parents",     "split_indices", "split_conditions",
                                                          "default_left",  "loss_changes",   "sum_hessian", "base_weights"};

struct tree_arrays {
    size_t nodes;
    const double *of[TREE_ARRAYS];
    const double *split_type; /* NULL: every split is by number */
};

/* -1 or the index of a node; the comparisons are false for NaN. */
static bool index_within(double v, size_t count)
{
    return v >= 0 && v < (double)count && v == floor(v);
}

static int read_arrays(const struct node *json, size_t features, struct tree_arrays *tree, struct err *err)
{
    const struct node *parameters = node_member(json, "tree_param");
    size_t unused;
    if (read_parameter(parameters, "num_nodes", 99999999, &tree->nodes, err) < 0 ||
        read_parameter(parameters, "size_leaf_vector", 1, &unused, err) < 0 ||
        read_parameter(parameters, "num_feature", features, &unused, err) < 0)
        return -1;
    if (node_member(parameters, "num_deleted") && read_parameter(parameters, "num_deleted", tree->nodes, &unused, err) < 0)
        return -1;
    if (tree->nodes == 0)
        return err_set(err, "it has no nodes");
    for (size_t i = 0; i < TREE_ARRAYS; i++) {
        const struct node *array = member_of_kind(json, tree_array_names[i], NODE_NUMBERS, err);
        if (!array)
            return -1;
        if (array->count != tree->nodes)
            return err_set(err, "%s has %u entries for %zu nodes", tree_array_names[i], array->count, tree->nodes);
        tree->of[i] = array->numbers;
    }
    return 0;
}

/* The library follows every node's parent while it loads, also those of nodes that were pruned. */
static int check_parents(const struct tree_arrays *tree, struct err *err)
{
    for (size_t i = 1; i < tree->nodes; i++)
        if (!index_within(tree->of[PARENT][i], tree->nodes))
            return err_set(err, "node %zu: its parent is not a node", i);
    return 0;
}

static int check_split(const struct tree_arrays *tree, size_t node, size_t features, struct err *err)
{
    if (!index_within(tree->of[FEATURE][node], features))
        return err_set(err, "node %zu: splits by feature %.0f of %zu", node, tree->of[FEATURE][node], features);
    if (isnan(tree->of[THRESHOLD][node]))
        return err_set(err, "node %zu: its threshold is no number", node);
    if (tree->of[DEFAULT_LEFT][node] != 0 && tree->of[DEFAULT_LEFT][node] != 1)
        return err_set(err, "node %zu: default_left is neither 0 nor 1", node);
    for (enum tree_array side = LEFT; side <= RIGHT; side++) {
        double child = tree->of[side][node];
        if (!index_within(child, tree->nodes) || child == 0)
            return err_set(err, "node %zu: its child %.0f is not a node below it", node, child);
        if (tree->of[PARENT][(size_t)child] != (double)node)
            return err_set(err, "node %.0f: is a child of node %zu but names another parent", child, node);
    }
    return tree->of[LEFT][node] == tree->of[RIGHT][node] ? err_set(err, "node %zu: has one child twice", node) : 0;
}

static struct tree_node node_of(const struct tree_arrays *tree, size_t node, size_t left)
{
    if (left == 0)
        return (struct tree_node){.value = (float)tree->of[THRESHOLD][node], .cover = (float)tree->of[HESSIAN][node]};
    return (struct tree_node){.value = (float)tree->of[THRESHOLD][node],
                              .left = (uint32_t)left,
                              .feature = (uint16_t)tree->of[FEATURE][node],
                              .default_left = tree->of[DEFAULT_LEFT][node] != 0,
                              .cover = (float)tree->of[HESSIAN][node],
                              .gain = (float)tree->of[LOSS][node]};
}

/* Walks from the root, level by level, and takes the nodes in that order.  Every node names one parent and a parent has
 * two different children, so no node is met twice and the walk ends; the depth bounds the recursion of the library's
 * TreeSHAP.  `queue` has room for every node. */
static int walk_shape(const struct tree_arrays *tree, size_t features, uint32_t *queue, struct tree *out, struct err *err)
{
    size_t head = 0, tail = 1, level_end = 1, depth = 0;
    queue[0] = 0;
    for (; head < tail; head++) {
        if (head == level_end) {
            level_end = tail;
            if (++depth > MODEL_DEPTH_MAX)
                return err_set(err, "it is more than %d levels deep", MODEL_DEPTH_MAX);
        }
        size_t node = queue[head], left = 0;
        if (tree->of[LEFT][node] == -1) {
            if (tree->of[RIGHT][node] != -1)
                return err_set(err, "node %zu: has a right child but no left one", node);
            if (!isfinite((float)tree->of[THRESHOLD][node]))
                return err_set(err, "node %zu: its leaf value is not finite", node);
        } else {
            if (check_split(tree, node, features, err) < 0)
                return -1;
            left = tail;
            queue[tail++] = (uint32_t)tree->of[LEFT][node];
            queue[tail++] = (uint32_t)tree->of[RIGHT][node];
        }
        out->nodes[head] = node_of(tree, node, left);
    }
    out->node_count = (uint32_t)tail;
    return 0;
}

static int check_shape(const struct tree_arrays *tree, size_t features, struct tree *out, struct err *err)
{
    uint32_t *queue = malloc(tree->nodes * sizeof *queue);
    out->nodes = malloc(tree->nodes * sizeof *out->nodes);
    int status = queue && out->nodes ? walk_shape(tree, features, queue, out, err) : err_set(err, "memory is short");
    free(queue);
    return status;
}

static int check_category_list(const struct node *categories, double begin, double size, size_t node, struct err *err)
{
    if (!(begin >= 0 && size >= 1 && begin == floor(begin) && size == floor(size) && begin + size <= (double)categories->count))
        return err_set(err, "node %zu: its categories are not in the list", node);
    for (size_t i = (size_t)begin; i < (size_t)(begin + size); i++)
        if (!index_within(categories->numbers[i], MODEL_CATEGORY_MAX + 1))
            return err_set(err, "node %zu: category %.0f is not within 0..%d", node, categories->numbers[i], MODEL_CATEGORY_MAX);
    return 0;
}

/* Nodes that split by category are listed in order, each with a piece of the list of categories. */
static int check_categories(const struct node *json, const struct tree_arrays *tree, bool *categorical, struct err *err)
{
    static const char *const names[] = {"categories_nodes", "categories_segments", "categories_sizes", "categories"};
    const struct node *types = node_member(json, "split_type"), *list[4];
    if (!types)
        return 0;
    if (types->kind != NODE_NUMBERS || types->count != tree->nodes)
        return err_set(err, "split_type has %u entries for %zu nodes", types->count, tree->nodes);
    for (size_t i = 0; i < 4; i++)
        if (!(list[i] = member_of_kind(json, names[i], NODE_NUMBERS, err)))
            return -1;
    if (list[1]->count != list[0]->count || list[2]->count != list[0]->count)
        return err_set(err, "the lists of categorical nodes differ in length");
    size_t next = 0;
    for (size_t i = 0; i < tree->nodes; i++) {
        if (types->numbers[i] != 0 && types->numbers[i] != 1)
            return err_set(err, "node %zu: an unknown type of split", i);
        if (types->numbers[i] == 0)
            continue;
        if (next == list[0]->count || list[0]->numbers[next] != (double)i)
            return err_set(err, "node %zu: splits by category but is not in categories_nodes", i);
        if (check_category_list(list[3], list[1]->numbers[next], list[2]->numbers[next], i, err) < 0)
            return -1;
        *categorical = true;
        next++;
    }
    return next == list[0]->count ? 0 : err_set(err, "categories_nodes names a node that does not split by category");
}

static int check_tree(struct model_file *file, const struct node *json, size_t index, struct err *err)
{
    struct tree_arrays tree = {0};
    const struct node *id = node_member(json, "id");
    if (json->kind != NODE_OBJECT || !id || id->kind != NODE_NUMBER || id->number != (double)index)
        return err_set(err, "its id is not its position");
    if (read_arrays(json, file->feature_count, &tree, err) < 0 || check_parents(&tree, err) < 0 || check_shape(&tree, file->feature_count, &file->trees[index], err) < 0)
        return -1;
    file->node_count += tree.nodes;
    return check_categories(json, &tree, &file->categorical, err);
}

/* The booster */

static int check_numbers(const struct node *model, const char *key, size_t count, struct err *err)
{
    const struct node *n = member_of_kind(model, key, NODE_NUMBERS, err);
    if (!n)
        return -1;
    return n->count == count ? 0 : err_set(err, "%s has %u entries for %zu trees", key, n->count, count);
}

static int check_groups(const struct node *model, size_t trees, struct err *err)
{
    if (check_numbers(model, "tree_info", trees, err) < 0)
        return -1;
    const struct node *info = node_member(model, "tree_info");
    for (size_t i = 0; i < trees; i++)
        if (info->numbers[i] != 0)
            return err_set(err, "tree %zu: belongs to output %.0f of a model that has one", i, info->numbers[i]);
    return 0;
}

static int check_iterations(const struct node *model, size_t trees, size_t parallel, size_t *rounds, struct err *err)
{
    const struct node *at = node_member(model, "iteration_indptr");
    *rounds = parallel ? trees / parallel : trees;
    if (!at)
        return 0; /* before 2.0; the library makes it */
    if (at->kind != NODE_NUMBERS || at->count == 0 || at->numbers[0] != 0 || at->numbers[at->count - 1] != (double)trees)
        return err_set(err, "iteration_indptr does not go from 0 to the %zu trees", trees);
    for (size_t i = 1; i < at->count; i++)
        if (!index_within(at->numbers[i], trees + 1) || at->numbers[i] < at->numbers[i - 1])
            return err_set(err, "iteration_indptr goes back at entry %zu", i);
    *rounds = at->count - 1;
    return 0;
}

static int check_no_frame_categories(const struct node *model, struct err *err)
{
    const struct node *names = node_member(node_member(model, "cats"), "enc");
    if (!names || names->count == 0)
        return 0;
    return err_set(err, "the model carries a data frame's own category names; train on numeric codes (op: code in the feature file)");
}

static int read_booster(struct model_file *file, const struct node *learner, struct err *err)
{
    const struct node *booster = member_of_kind(learner, "gradient_booster", NODE_OBJECT, err);
    const char *name = booster ? plain_text(node_member(booster, "name")) : NULL;
    if (!booster)
        return -1;
    if (!name || (strcmp(name, "gbtree") && strcmp(name, "dart")))
        return err_set(err, "the booster is %.100s; weir scores trees: gbtree and dart", name ? name : "not named");
    file->booster = strcmp(name, "dart") ? BOOSTER_GBTREE : BOOSTER_DART;
    const struct node *dart = booster;
    if (file->booster == BOOSTER_DART && !(booster = member_of_kind(dart, "gbtree", NODE_OBJECT, err)))
        return -1;
    const struct node *model = member_of_kind(booster, "model", NODE_OBJECT, err);
    if (!model || read_parameter(node_member(model, "gbtree_model_param"), "num_trees", MODEL_TREES_MAX, &file->tree_count, err) < 0)
        return -1;
    size_t parallel = 1;
    const struct node *trees = node_member(model, "trees");
    if (file->tree_count == 0 || !trees || trees->kind != NODE_ARRAY || trees->count != file->tree_count)
        return err_set(err, "the model has %u trees and says %zu", trees ? trees->count : 0, file->tree_count);
    if (node_member(node_member(model, "gbtree_model_param"), "num_parallel_tree") &&
        read_parameter(node_member(model, "gbtree_model_param"), "num_parallel_tree", MODEL_TREES_MAX, &parallel, err) < 0)
        return -1;
    if (check_groups(model, file->tree_count, err) < 0 || check_iterations(model, file->tree_count, parallel, &file->rounds, err) < 0 ||
        check_no_frame_categories(model, err) < 0)
        return -1;
    if (file->booster == BOOSTER_DART && check_numbers(dart, "weight_drop", file->tree_count, err) < 0)
        return -1;
    if (!(file->trees = calloc(file->tree_count, sizeof *file->trees)))
        return err_set(err, "memory is short");
    for (size_t i = 0; i < file->tree_count; i++)
        if (check_tree(file, &trees->members[i].value, i, err) < 0)
            return err_prefix(err, "tree %zu", i);
    return 0;
}

/* What early stopping left in the file; anything else there is not ours to judge. */
static int64_t best_iteration(const struct node *learner)
{
    const char *text = plain_text(node_member(node_member(learner, "attributes"), "best_iteration"));
    return text && strlen(text) <= 9 && strspn(text, "0123456789") == strlen(text) ? strtol(text, NULL, 10) : -1;
}

int model_file_read(const void *bytes, size_t size, struct model_file **out, struct err *err)
{
    struct document *document;
    if (document_parse(bytes, size, &document, err) < 0)
        return -1;
    struct model_file *file = calloc(1, sizeof *file);
    const struct node *root = document_root(document), *learner = node_member(root, "learner");
    int status = -1;
    if (!file)
        err_set(err, "memory is short");
    else if (!learner)
        err_set(err, "not an XGBoost model: it has no learner");
    else if (read_version(file, root, err) == 0 && read_objective(file, learner, err) == 0 && read_parameters(file, learner, err) == 0 &&
             read_feature_names(file, learner, err) == 0 && read_booster(file, learner, err) == 0) {
        file->best_iteration = best_iteration(learner);
        status = 0;
    }
    document_destroy(document);
    if (status < 0) {
        model_file_destroy(file);
        return -1;
    }
    *out = file;
    return 0;
}

void model_file_drop_trees(struct model_file *file)
{
    for (size_t i = 0; file->trees && i < file->tree_count; i++)
        free(file->trees[i].nodes);
    free(file->trees);
    file->trees = NULL;
}

void model_file_destroy(struct model_file *file)
{
    if (!file)
        return;
    model_file_drop_trees(file);
    for (size_t i = 0; file->feature_names && i < file->feature_count; i++)
        free(file->feature_names[i]);
    free(file->feature_names);
    free(file);
}
