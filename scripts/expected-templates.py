"""Writes what transformers (5.19, jinja2 3.1.6) renders of chat templates, and of small templates that show one thing
each: the fixture of tests/unit/models/jinja/template.test.ts.

    python scripts/expected-templates.py tests/fixtures/expected-templates.json

Needs transformers (PyPI). Templates have the structure of public models' but words of their own.
"""
import json
import sys

from transformers.utils.chat_template_utils import render_jinja_template

TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Says it's “so”.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "enum": ["Rome", "Ōsaka"]}, "days": {"type": "integer", "minimum": 1.5}},
    "required": ["city"], "items": {}}}}]
CHATS = {
    "plain": [{"role": "user", "content": "hi"}],
    "system": [{"role": "system", "content": " Be brief.\n"}, {"role": "user", "content": "  hi  "}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\n yes \n"}, {"role": "user", "content": "é🙂 \u0085\u001c"}],
    "tools": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "", "tool_calls": [
        {"id": "call_123ab", "type": "function", "function": {"name": "weather", "arguments": {"city": "Rome", "days": 2, "more": [None, True, {"a": 1.5}]}}}]},
        {"role": "tool", "tool_call_id": "call_123ab", "name": "weather", "content": "sun"}, {"role": "assistant", "content": "Sun."}],
}
CHATML = """{% for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{% endfor %}
{% if add_generation_prompt %}
{{ '<|im_start|>assistant\\n' }}
{%- endif %}
"""
THINKING = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n<|im_end|>\\n" }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index or loop.last %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls or [] %}
            {%- if (loop.first and content) or (not loop.first) %}{{- '\\n' }}{%- endif %}
            {%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '<tool_call>\\n{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}
            {%- if tool_call.arguments is string %}{{- tool_call.arguments }}{%- else %}{{- tool_call.arguments | tojson }}{%- endif %}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""
LLAMA = """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
<|start_header_id|>system<|end_header_id|>

{#- A comment -#}
{%- if tools is not none %}
Environment: ipython
{% endif %}
{{- system_message }}<|eot_id|>
{%- if tools is not none %}
    {{- '<|start_header_id|>user<|end_header_id|>\\n\\n' -}}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("One call at a time!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {%- for arg_name, arg_val in tool_call.arguments | items %}
            {{- arg_name + '="' ~ arg_val ~ '"' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- endif %}
        {%- endfor %}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
TURNS = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% else %}{% set loop_messages = messages %}{% endif %}
{% for message in loop_messages %}
    {% if (message['role'] == 'assistant') %}
        {% set role = 'model' %}
    {% else %}
        {% set role = message['role'] %}
    {% endif %}
    {% if message.role not in ['user', 'assistant', 'tool'] %}{% continue %}{% endif %}
    {{ '<start_of_turn>' + role + '
' + message['content'] | trim + '<end_of_turn>
' }}
    {% generation %}{% set role = 'inner' %}{{ role }}{% endgeneration %}{{ role }}
{% endfor %}
{% if add_generation_prompt %}{{'<start_of_turn>model
'}}{% endif %}

"""
MACROS = """{% macro params(schema, depth=0) -%}
  {%- for name, value in schema.properties | dictsort %}
    {{ '  ' * depth }}{{ name }}: {{ value.type | default('any', true) }}{% if name in schema.required or [] %} (required){% endif %}{{ value.enum | join('|') if value.enum else '' }}
  {%- else %}nothing{% endfor %}
{%- endmacro %}
{% for tool in tools or [] %}{% set f = tool.function %}{{ f.name | upper }} {{ f }}:
  {{ params(f.parameters, depth=1) }}
{% endfor %}
{%- for message in messages if message.role != 'system' -%}
{{ loop.index }}/{{ loop.length }} {{ message.role.title() }}: {{ message.content | default('-') | trim | indent(2) }}{% if not loop.last %}, {% endif %}
{%- endfor %}
{% call(x) wrap() %}{{ x }}{% endcall %}
{{ strftime_now('%Y') | length }}"""
MACROS = "{% macro wrap() %}[{{ caller('c') }}]{% endmacro %}\n" + MACROS

SMALL = r"""
{{ none }}|{{ true }}|{{ [1, 'a', none, 2.0] }}|{{ {'a': "it's", 'b': (1,)} }}|{{ () }}
{{ 1 == '1' }}|{{ [1] == [1] }}|{{ {'a': 1} == {'a': 1.0} }}|{{ none == undefined }}|{{ true == 1 }}
{{ 'a\nb\tc\x41\u00e9\q\'"' }}|{{ ['\n', "'", "'\"", '\u200b', '\xa0'] }}
{{ ' \n x \n'.strip() }}|{{ '\n\nx\n'.strip('\n') }}|{{ 'xxaxx'.lstrip('x') }}|{{ 'abc'.rstrip('cb') }}|{{ '\ufeffa\u0085'|trim }}|
{{ 7 // 2 }}|{{ -7 // 2 }}|{{ -7 % 3 }}|{{ 7 / 2 }}|{{ 4 / 2 }}|{{ 2 ** 3 ** 2 }}|{{ 2 ** -1 }}|{{ 7.5 // 2 }}|{{ -2 ** 2 }}
{{ 1e16 }}|{{ 1e-5 }}|{{ 0.1 + 0.2 }}|{{ 1.0 }}|{{ 123456789.123 }}|{{ 1_000 }}|{{ 0x1F }}|{{ 1.5e3 }}|{{ 1e22 }}
{{ 'a' ~ 1 ~ none ~ true ~ 1.0 ~ x }}
{{ 'a' * 3 }}|{{ [1] * 2 }}|{{ [1] + [2] }}|{{ '%s and %d%%' % ('a', 3.7) }}|{{ '%s' % 'b' }}
{{ 'abc'[1] }}|{{ 'abc'[-1] }}|{{ 'abcdef'[1:4] }}|{{ 'abc'[::-1] }}|{{ '🙂é'[0] }}|{{ '🙂é'|length }}|{{ [1,2,3][-2:] }}|{{ 'abc'[5] }}|{{ [1,2,3,4][3:0:-2] }}|{{ 'ab'[:9] }}
{{ x is defined }}|{{ x is not defined }}|{{ none is none }}|{{ 'a' is string }}|{{ {} is mapping }}|{{ [] is iterable }}|{{ 1 is number }}|{{ true is number }}|{{ true is integer }}|{{ 1.0 is float }}|{{ 3 is odd }}|{{ 4 is divisibleby 2 }}|{{ 4 is divisibleby(3) }}|{{ 'a' is in ['a'] }}|{{ 1 is eq 1 }}|{{ [] is sequence }}|{{ x is iterable }}
{% for i in [1,2] %}{{ y is defined }}{% set y = 1 %}{% endfor %}{{ y is defined }}
{% set y = 0 %}{% for i in [1,2] %}{{ y }}{% set y = i %}{{ y }}{% endfor %}{{ y }}
{% for i in [1,2,3,4] %}a{% if i == 2 %}b{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}c{% endfor %}
{% for i in [1,2] %}{% continue %}{% else %}none{% endfor %}|{% for i in [] %}{% else %}none{% endfor %}|{% for c in 'héy' %}{{ loop.index }}{{ c }}{{ loop.last }}{% endfor %}
{% for k in {'b': 1, 'a': 2} %}{{ k }}{% endfor %}|{% for k, v in {'b': 1, 'a': 2}.items() %}{{ k }}{{ v }}{% endfor %}|{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{{ {'items': 1}['items'] }}|{{ {'keys': 2}.keys is callable }}|{{ {'a': 1}.a }}|{{ {'a': 1}.b is defined }}|{{ {'a': none}.get('a', 1) }}|{{ {'a': 1}.get('b') }}|{{ {1: 'x'}[1] }}
{{ {'a': [1, 2.5, none, true, 'é"\n<&>'], 'b': {}} | tojson }}|{{ {'b': [], 'a': {'c': [1]}} | tojson(indent=2) }}|{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }}|{{ 'é\x7f🙂' | tojson(ensure_ascii=true) }}|{{ [1,2] | tojson(separators=(',', ':')) }}|{{ [1] | tojson(indent=0) }}|{{ 'a/b' | tojson }}
{{ ['b', 'A', 'c'] | sort }}|{{ ['b', 'A'] | sort(case_sensitive=true, reverse=true) }}|{{ [{'a': 2}, {'a': 1}] | sort(attribute='a') }}|{{ [3, 1] | max }}|{{ ['a', 'B'] | min }}|{{ [1, 2] | sum }}|{{ ['a', 'A', 'b'] | unique | list }}
{{ [{'a': 1}, {'b': 2}, {'a': 0}] | selectattr('a') | list }}|{{ [{'a': 1}, {'a': 2}] | selectattr('a', 'equalto', 2) | list }}|{{ [{'a': 1}] | rejectattr('a', 'defined') | list }}|{{ [1, 2, 3] | select('odd') | list }}|{{ [1, none] | reject('none') | list }}|{{ [{'a': {'b': 1}}] | map(attribute='a.b') | list }}|{{ ['a', 'b'] | map('upper') | join('-') }}|{{ [{'a': 1}, {}] | map(attribute='a', default=0) | list }}
{{ 'hello world' | title }}|{{ "they're BIG-ger" | title }}|{{ "they're BIG-ger".title() }}|{{ 'hELLO wORLD' | capitalize }}|{{ 'ß' | upper }}|{{ 'ΑΣ' | lower }}
{{ 'a,b,,c'.split(',') }}|{{ ' a  b '.split() }}|{{ ' a  b c '.split(none, 1) }}|{{ 'a,b,c'.rsplit(',', 1) }}|{{ 'a\nb\r\nc'.splitlines() }}|{{ 'abc'.partition('b') }}|{{ 'a-b-c'.rpartition('-') }}|{{ 'aXbX'.replace('X', 'y', 1) }}|{{ 'abc'.replace('', '-') }}|{{ 'aaa' | replace('a', 'b', 2) }}
{{ 'abc'.find('c') }}|{{ 'abc'.find('x') }}|{{ 'banana'.count('an') }}|{{ 'abc'.startswith(('x', 'a')) }}|{{ 'abc'.endswith('bc') }}|{{ '12'.isdigit() }}|{{ 'aB'.isalpha() }}|{{ 'AB'.isupper() }}|{{ ' '.isspace() }}|{{ 'a b'.isalnum() }}|{{ '-'.join(['a', 'b']) }}|{{ 'prefix'.removeprefix('pre') }}
{{ '12' | int }}|{{ 'x' | int }}|{{ '3.9' | int }}|{{ 'x' | int(5) }}|{{ '1f' | int(base=16) }}|{{ '2.5' | float }}|{{ 3.7 | int }}|{{ -3.7 | int }}|{{ 2.5 | round }}|{{ 3.14159 | round(2) }}|{{ 2.1 | round(0, 'ceil') }}|{{ -3 | abs }}|{{ (-3) | abs }}
{{ x | default('d') }}|{{ '' | default('d') }}|{{ '' | default('d', true) }}|{{ none | default('d') }}|{{ [1,2] | first }}|{{ [1,2] | last }}|{{ [] | first is defined }}|{{ 'abc' | first }}|{{ [1,[2]] | string }}|{{ 'abc' | list }}|{{ {'a': 1} | list }}|{{ {'b': 2, 'a': 1} | dictsort }}|{{ 'abc' | reverse }}|{{ [1,2] | reverse | list }}|{{ {'a': 1} | length }}|{{ x | length }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(1, blank=true) }}|{{ 'a\nb' | indent('>') }}|{{ 'one two_x 3' | wordcount }}
{{ 1 if true }}|{{ 1 if false }}|{{ 'a' if x else 'b' if y else 'c' }}|{{ not true or true }}|{{ 1 < 2 < 3 }}|{{ 1 < 3 < 2 }}|{{ 'a' in 'abc' }}|{{ 'a' not in 'abc' }}|{{ 1 in [1] }}|{{ 'k' in {'k': 1} }}|{{ 'a' in x }}|{{ 'b' > 'a' }}|{{ [1, 2] < [1, 3] }}|{{ x or 'fallback' }}|{{ 0 and 1 }}
{% set x, y = 1, [2] %}{{ x }}{{ y }}{% set z %}block {{ x }}{% endset %}[{{ z }}]{% set w | upper %}abc{% endset %}{{ w }}{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}{% filter upper %}abc{{ x }}{% endfilter %}
{% set ns = namespace(a=1) %}{% for i in [1, 2] %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{% if true %}{% set q = 5 %}{% endif %}{{ q }}
{% macro m(a, b='x') %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }}|{{ m(1, 2, 3, c=4) }}|{{ m(b=1) }}
{% macro outer() %}{{ g }}{% endmacro %}{% set g = 3 %}{{ outer() }}{% for g in [4] %}{{ outer() }}{% endfor %}
{% raw %}{{ x }} {% if %}{% endraw %}|{#- c -#} |{%+ if true %} a {%+ endif %}|{{- ' b ' -}} |
a  {{ 1 }}  b   {%- if true -%}   c   {%- endif %}   d
{{ range(3) | list }}|{{ range(1, 10, 4) | list }}|{{ range(3, 0, -1) | list }}|{{ dict(a=1) }}|{% for i in range(2) %}{{ loop.cycle('a', 'b') }}{{ loop.changed(1) }}{{ loop.previtem is defined }}{{ loop.revindex }}{% endfor %}
{{ x.y }}
{{ x + 'a' }}
{{ 1 + 'a' }}
{{ none + 'a' }}
{{ 'a' + 1 }}
{{ [1].append(2) }}
{{ {} | tojson | nofilter }}
{{ 1 is nottest }}
{{ x() }}
{{ 'a' < 1 }}
{{ range(1000000) | length }}
{{ raise_exception('why') }}
{% for a, b in [1] %}{% endfor %}
{{ 5 in 'abc' }}
{{ [1, 2] | tojson(indent=x) }}
{{ 1 // 0 }}
{% include 'x' %}
{{ (1 }}
{% if true %}
"""
LINES = ["a\n  {% if true %}\n    b\n  {% endif %}\nc\n\n", "  {% set a = 1 %}  \n\tx {# c #}\n{# c #}\n  y\n{{ a }}\n\n  {{ a }}\n", "{% if true %}\n\n{{ 1 }}{% endif %}\n", "x\n   {#- a -#}\n y", " {%- set a = 1 +%}\n{% raw %}\n a {% endraw %}\n b", "{{ 'a\nb' }}\n", "\n\n{% set x = 1 -%}\n\n z  {%- if x %}\n q{% endif %}", "{{ {'a': {'b': 1}}['a']['b'] }}{{ '}}' }}{{ \"%}\" }}\n"]


def rendered(template, chat, tools=None, **values):
    try:
        return render_jinja_template([json.loads(json.dumps(chat))], tools=tools, chat_template=template, **values)[0][0]
    except Exception as error:
        print(type(error).__name__, error, "|", template[:60].strip())
        return None


cases = []
for template in [CHATML, THINKING, LLAMA, TURNS, MACROS]:
    for ends in ["\n", "\r\n", "\r"]:
        for name in CHATS:
            for prompt in [True, False]:
                if ends != "\n" and (not prompt or name == "plain"):
                    continue
                tools = TOOLS if name == "tools" else None
                source = template.replace("\n", ends)
                cases.append([source, name, prompt, rendered(source, CHATS[name], tools, add_generation_prompt=prompt, bos_token="<s>")])
for template in [*SMALL.strip("\n").split("\n"), *LINES, *(line.replace("\n", "\r\n") for line in LINES)]:
    cases.append([template, "plain", True, rendered(template, CHATS["plain"], add_generation_prompt=True)])
sources = list(dict.fromkeys(case[0] for case in cases))
with open(sys.argv[1], "w") as file:
    json.dump({"chats": CHATS, "tools": TOOLS, "templates": sources, "cases": [[sources.index(case[0]), *case[1:]] for case in cases]},
              file, ensure_ascii=True, separators=(",", ":"))
    file.write("\n")
print(len(cases), "renderings of", len(sources), "templates")
