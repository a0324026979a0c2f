import azure.functions as func
import there_is_no_such_module  # type: ignore[import-not-found]

app = func.FunctionApp()
app.route(there_is_no_such_module.route)
