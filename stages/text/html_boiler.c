// SPDX-License-Identifier: Apache-2.0
// Page furniture by name: elements, roles, and words in class and id.
#include <ctype.h>

#include "stages/text/html_parts.h"

// A class or id names furniture when each of its words (split at - _ and case changes are not looked at) is
// in one of these lists and at least one in the first. So `site-footer` and `nav_bar_left` do, `no-sidebar`
// does not.
static const char *const furniture[] = {
    "nav",        "navbar",      "navheader",  "navfooter", "navigation",
    "navlinks",   "navmenu",     "navbox",     "menu",      "menubar",
    "submenu",    "sidebar",     "sidenav",    "sidemenu",  "sphinxsidebar",
    "breadcrumb", "breadcrumbs", "crumbs",     "toc",       "tableofcontents",
    "footer",     "printfooter", "pagination", "pager",     "paging",
    "prevnext",   "cookie",      "cookies",    "consent",   "gdpr",
    "banner",     "share",       "sharing",    "social",    "sharebar",
    "related",    "recommended", "comments",   "respond",   "newsletter",
    "subscribe",  "signup",      "login",      "signin",    "search",
    "searchbox",  "searchform",  "skip",       "skiplink",  "skipnav",
    "ad",         "ads",         "advert",     "adverts",   "advertisement",
    "sponsor",    "sponsored",   "promo",      "toolbar",   "editsection",
    "headerlink", "catlinks",    "tags",       "tagcloud",  "popup",
    "modal",      "dropdown",    "hamburger",  "copyright", "noprint",
    "jump",       "backtotop",   "permalink",
};

static const char *const qualifiers[] = {
    "site",      "page",      "main",    "global", "top",    "bottom", "left",     "right",   "primary",
    "secondary", "mobile",    "desktop", "mw",     "vector", "wp",     "sphinx",   "bar",     "menu",
    "header",    "container", "wrapper", "links",  "link",   "list",   "box",      "inner",   "outer",
    "area",      "block",     "section", "widget", "posts",  "post",   "articles", "items",   "item",
    "buttons",   "button",    "icons",   "media",  "notice", "policy", "form",     "content", "panel",
    "body",      "wrap",      "row",     "group",  "to",     "text",   "landing",  "footer",  "hidden",
    "the",       "js",        "ui",      "d",      "flex",
};

static const char *const furniture_roles[] = {
    "navigation", "banner", "contentinfo", "search",  "complementary", "menu",
    "menubar",    "dialog", "alertdialog", "toolbar", "tablist",
};

#define COUNT(list) (sizeof(list) / sizeof *(list))

static bool in_list(const char *word, size_t size, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strncasecmp(list[i], word, size) && !list[i][size]) return true;
    return false;
}

static bool name_is_furniture(const char *name, size_t size)
{
    bool any = false;
    size_t at = 0;
    while (at < size) {
        size_t end = at;
        while (end < size && name[end] != '-' && name[end] != '_') end++;
        if (end > at) {
            bool is = in_list(name + at, end - at, furniture, COUNT(furniture));
            if (!is && !in_list(name + at, end - at, qualifiers, COUNT(qualifiers))) return false;
            any |= is;
        }
        at = end + 1;
    }
    return any;
}

static bool names_are_furniture(const char *names)
{
    while (*names) {
        size_t n = strcspn(names, " \t\n\r\f");
        if (n && name_is_furniture(names, n)) return true;
        names += n + (names[n] != 0);
    }
    return false;
}

static const char *attribute(const GumboElement *element, const char *name)
{
    const GumboAttribute *found = gumbo_get_attribute(&element->attributes, name);
    return found && found->value ? found->value : "";
}

static bool is_hidden(const GumboElement *element)
{
    if (gumbo_get_attribute(&element->attributes, "hidden")) return true;
    if (!strcasecmp(attribute(element, "aria-hidden"), "true")) return true;
    const char *display = strcasestr(attribute(element, "style"), "display");
    if (!display) return false;
    for (display += 7; *display == ' ' || *display == ':'; display++) continue;
    return !strncasecmp(display, "none", 4);
}

bool tm_html_is_furniture(const GumboElement *element, bool in_main)
{
    switch (element->tag) {
    case GUMBO_TAG_HTML:
    case GUMBO_TAG_BODY:
    case GUMBO_TAG_MAIN:
    case GUMBO_TAG_ARTICLE: return false;
    case GUMBO_TAG_NAV: return true;
    case GUMBO_TAG_ASIDE:
    case GUMBO_TAG_FOOTER:
        if (!in_main) return true;
        break;
    default: break;
    }
    if (element->attributes.length == 0) return false;
    const char *role = attribute(element, "role");
    if (role[0] && in_list(role, strlen(role), furniture_roles, COUNT(furniture_roles))) return true;
    return is_hidden(element) || names_are_furniture(attribute(element, "class")) ||
           names_are_furniture(attribute(element, "id"));
}
