/* The text of page.html here, embedded by the build. */
#pragma once

extern const char http_page[];
