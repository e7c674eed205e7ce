/* What every module in C here begins and ends with. It must not know what is in them. */

#ifndef LRU_CACHE_NATIVE_MODULE_H
#define LRU_CACHE_NATIVE_MODULE_H

#include <Python.h>

/* Each interpreter of a process has a module of its own, with its own state and lock. */
#if PY_VERSION_HEX >= 0x030c0000
#define MODULE_SLOTS(exec) \
    {{Py_mod_exec, exec}, {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED}, {0, NULL}}
#else
#define MODULE_SLOTS(exec) {{Py_mod_exec, exec}, {0, NULL}}
#endif

static inline PyObject *
imported(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *object = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return object;
}

static inline PyTypeObject *
add_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, type) < 0) {
        Py_CLEAR(type);
    }
    return type;
}

#endif
