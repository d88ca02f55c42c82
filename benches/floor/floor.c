/* The floor: what a call between Python and Lua costs when nothing is done that could be left out.
 *
 * A bare extension module over Lua 5.4 with just enough of lupa's API for the rows that are compared with it:
 * LuaRuntime().eval(code), calls of Lua functions with plain arguments, Python functions called back, items of tables.
 * A call is one lua_pcall with the GIL released around it, reached by vectorcall. An item of a table is a raw read.
 *
 * It has no lock, no fence around operations that may raise (running out of memory ends the process), no cache of
 * boxes, no encodings, no cyclic garbage collection, and exceptions do not pass. It is not meant to be used.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

#define MOST_ARGUMENTS 16

typedef struct {
    PyObject_HEAD
    lua_State *state;
    PyThreadState *thread; /* while Lua runs: the thread state to come back with */
} Runtime;

/* A function or a table of Lua. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Runtime *runtime;
    int reference;
} Object;

static PyTypeObject runtime_type, function_type, table_type;

static PyObject *function_call(PyObject *self, PyObject *const *arguments, size_t flags, PyObject *names);

static const char BOX[] = "floor.box";

/* The runtime of a state is in the space that Lua keeps for its host. */
static Runtime *runtime_of(lua_State *state) {
    return *(Runtime **)lua_getextraspace(state);
}

/* Puts a Python object on Lua's stack; 0 if there is an exception. */
static int push(lua_State *state, PyObject *object) {
    if (PyLong_CheckExact(object)) {
        int overflow;
        long long integer = PyLong_AsLongLongAndOverflow(object, &overflow);
        if (overflow) {
            PyErr_SetString(PyExc_OverflowError, "this integer does not fit into Lua's");
            return 0;
        }
        lua_pushinteger(state, integer);
    } else if (PyUnicode_CheckExact(object)) {
        Py_ssize_t length;
        const char *text = PyUnicode_AsUTF8AndSize(object, &length);
        if (text == NULL) {
            return 0;
        }
        lua_pushlstring(state, text, (size_t)length);
    } else if (PyFloat_CheckExact(object)) {
        lua_pushnumber(state, PyFloat_AS_DOUBLE(object));
    } else if (object == Py_None) {
        lua_pushnil(state);
    } else if (PyBool_Check(object)) {
        lua_pushboolean(state, object == Py_True);
    } else if (Py_TYPE(object) == &function_type || Py_TYPE(object) == &table_type) {
        lua_rawgeti(state, LUA_REGISTRYINDEX, ((Object *)object)->reference);
    } else if (PyCallable_Check(object)) {
        PyObject **box = lua_newuserdatauv(state, sizeof *box, 0);
        *box = Py_NewRef(object);
        luaL_setmetatable(state, BOX);
    } else {
        PyErr_Format(PyExc_TypeError, "the floor cannot pass %.100s objects", Py_TYPE(object)->tp_name);
        return 0;
    }
    return 1;
}

/* The Lua value at an index as a new Python object; NULL if there is an exception. */
static PyObject *pull(Runtime *runtime, int index) {
    lua_State *state = runtime->state;
    switch (lua_type(state, index)) {
    case LUA_TNIL:
        Py_RETURN_NONE;
    case LUA_TBOOLEAN:
        return PyBool_FromLong(lua_toboolean(state, index));
    case LUA_TNUMBER:
        if (lua_isinteger(state, index)) {
            return PyLong_FromLongLong(lua_tointeger(state, index));
        }
        return PyFloat_FromDouble(lua_tonumber(state, index));
    case LUA_TSTRING: {
        size_t length;
        const char *text = lua_tolstring(state, index, &length);
        return PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, NULL);
    }
    case LUA_TFUNCTION:
    case LUA_TTABLE: {
        PyTypeObject *type = lua_istable(state, index) ? &table_type : &function_type;
        Object *object = PyObject_New(Object, type);
        if (object == NULL) {
            return NULL;
        }
        lua_pushvalue(state, index);
        object->reference = luaL_ref(state, LUA_REGISTRYINDEX);
        object->runtime = (Runtime *)Py_NewRef(runtime);
        object->vectorcall = function_call;
        return (PyObject *)object;
    }
    default:
        PyErr_Format(PyExc_TypeError, "the floor cannot take a %s", luaL_typename(state, index));
        return NULL;
    }
}

/* Calls the function below `count` arguments, without the GIL, and takes its first result. */
static PyObject *run(Runtime *runtime, int base, int count) {
    lua_State *state = runtime->state;
    runtime->thread = PyEval_SaveThread();
    int status = lua_pcall(state, count, LUA_MULTRET, 0);
    PyEval_RestoreThread(runtime->thread);
    PyObject *result = NULL;
    if (status == LUA_OK) {
        result = lua_gettop(state) > base ? pull(runtime, base + 1) : Py_NewRef(Py_None);
    } else {
        const char *message = lua_tostring(state, -1);
        PyErr_SetString(PyExc_RuntimeError, message ? message : "an error of Lua that is no string");
    }
    lua_settop(state, base);
    return result;
}

static PyObject *function_call(PyObject *self, PyObject *const *arguments, size_t flags, PyObject *names) {
    Object *function = (Object *)self;
    Runtime *runtime = function->runtime;
    lua_State *state = runtime->state;
    Py_ssize_t count = PyVectorcall_NARGS(flags);
    int base = lua_gettop(state);
    if (names != NULL || count > MOST_ARGUMENTS || !lua_checkstack(state, MOST_ARGUMENTS + 4)) {
        PyErr_Format(PyExc_TypeError, "the floor takes up to %d arguments, and no keywords", MOST_ARGUMENTS);
        return NULL;
    }
    lua_rawgeti(state, LUA_REGISTRYINDEX, function->reference);
    for (Py_ssize_t index = 0; index < count; index++) {
        if (!push(state, arguments[index])) {
            lua_settop(state, base);
            return NULL;
        }
    }
    return run(runtime, base, (int)count);
}

static PyObject *table_item(PyObject *self, PyObject *key) {
    Object *table = (Object *)self;
    lua_State *state = table->runtime->state;
    int base = lua_gettop(state);
    PyObject *result = NULL;
    lua_rawgeti(state, LUA_REGISTRYINDEX, table->reference);
    if (push(state, key)) {
        lua_rawget(state, base + 1);
        result = pull(table->runtime, base + 2);
    }
    lua_settop(state, base);
    return result;
}

/* __call of a boxed Python object: the object itself is the first argument. */
static int box_call(lua_State *state) {
    Runtime *runtime = runtime_of(state);
    PyObject *space[MOST_ARGUMENTS + 1], **arguments = space + 1;
    int count = lua_gettop(state) - 1, taken = 0, pushed = 0;
    PyObject *callable = *(PyObject **)lua_touserdata(state, 1);
    PyEval_RestoreThread(runtime->thread);
    if (count > MOST_ARGUMENTS) {
        PyErr_Format(PyExc_TypeError, "the floor takes up to %d arguments", MOST_ARGUMENTS);
    } else {
        while (taken < count && (arguments[taken] = pull(runtime, taken + 2)) != NULL) {
            taken++;
        }
        size_t flags = (size_t)count | PY_VECTORCALL_ARGUMENTS_OFFSET;
        PyObject *result = taken < count ? NULL : PyObject_Vectorcall(callable, arguments, flags, NULL);
        pushed = result != NULL && push(state, result);
        Py_XDECREF(result);
    }
    for (int index = 0; index < taken; index++) {
        Py_DECREF(arguments[index]);
    }
    if (!pushed) {
        PyErr_WriteUnraisable(callable);
    }
    runtime->thread = PyEval_SaveThread();
    return pushed ? 1 : luaL_error(state, "a Python function has raised an exception");
}

/* __gc: only while Lua runs, with the GIL released, or when the runtime is deallocated, with the GIL held. */
static int box_gc(lua_State *state) {
    Runtime *runtime = runtime_of(state);
    PyThreadState *thread = runtime->thread;
    int attached = PyGILState_Check();
    if (!attached) {
        PyEval_RestoreThread(thread);
    }
    Py_DECREF(*(PyObject **)lua_touserdata(state, 1));
    if (!attached) {
        runtime->thread = PyEval_SaveThread();
    }
    return 0;
}

static void object_dealloc(PyObject *self) {
    Object *object = (Object *)self;
    luaL_unref(object->runtime->state, LUA_REGISTRYINDEX, object->reference);
    Py_DECREF(object->runtime);
    PyObject_Free(self);
}

static PyObject *runtime_new(PyTypeObject *type, PyObject *arguments, PyObject *names) {
    (void)arguments, (void)names;
    Runtime *runtime = (Runtime *)type->tp_alloc(type, 0);
    if (runtime == NULL) {
        return NULL;
    }
    lua_State *state = runtime->state = luaL_newstate();
    if (state == NULL) {
        Py_DECREF(runtime);
        return PyErr_NoMemory();
    }
    *(Runtime **)lua_getextraspace(state) = runtime;
    luaL_openlibs(state);
    luaL_newmetatable(state, BOX);
    lua_pushcfunction(state, box_call);
    lua_setfield(state, -2, "__call");
    lua_pushcfunction(state, box_gc);
    lua_setfield(state, -2, "__gc");
    lua_pop(state, 1);
    return (PyObject *)runtime;
}

static void runtime_dealloc(PyObject *self) {
    Runtime *runtime = (Runtime *)self;
    if (runtime->state != NULL) {
        lua_close(runtime->state);
    }
    Py_TYPE(self)->tp_free(self);
}

static PyObject *runtime_eval(PyObject *self, PyObject *code) {
    Runtime *runtime = (Runtime *)self;
    lua_State *state = runtime->state;
    int base = lua_gettop(state);
    const char *text = PyUnicode_AsUTF8(code);
    if (text == NULL) {
        return NULL;
    }
    lua_pushfstring(state, "return %s", text);
    if (luaL_loadstring(state, lua_tostring(state, -1)) != LUA_OK) {
        PyErr_SetString(PyExc_SyntaxError, lua_tostring(state, -1));
        lua_settop(state, base);
        return NULL;
    }
    lua_remove(state, base + 1);
    return run(runtime, base, 0);
}

static PyMethodDef runtime_methods[] = {
    {"eval", runtime_eval, METH_O, "The value of a Lua expression."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject runtime_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "floor.LuaRuntime",
    .tp_basicsize = sizeof(Runtime),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = runtime_new,
    .tp_dealloc = runtime_dealloc,
    .tp_methods = runtime_methods,
};

static PyTypeObject function_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "floor.Function",
    .tp_basicsize = sizeof(Object),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = object_dealloc,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(Object, vectorcall),
};

static PyMappingMethods table_mapping = {.mp_subscript = table_item};

static PyTypeObject table_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "floor.Table",
    .tp_basicsize = sizeof(Object),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = object_dealloc,
    .tp_as_mapping = &table_mapping,
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "floor",
    .m_doc = "The least that calls between Python and Lua 5.4 can cost.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit_floor(void) {
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL || PyType_Ready(&function_type) < 0 || PyType_Ready(&table_type) < 0 ||
        PyModule_AddType(module, &runtime_type) < 0) {
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
