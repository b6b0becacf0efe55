"""
openai-python against a running server: what it answered, dumped with all its nulls, is sent back as the next request's
history, as chat frameworks do; fields at the ends of their documented ranges; many inputs to embed.
"""
import os

import openai

client = openai.OpenAI(base_url=os.environ['FAIRLEAD_URL'] + '/v1', api_key='none', max_retries=0)
MODEL = 'smollm2-135m'
WEATHER = {
    'name': 'weather', 'description': None, 'strict': None,
    'parameters': {'type': 'object', 'properties': {'city': {'type': 'string', 'maxLength': 12}}, 'required': ['city']}
}
ASKED = {'role': 'user', 'content': 'What is the weather in Rome?'}


def chat(**fields):
    return client.chat.completions.create(model=MODEL, max_tokens=48, temperature=0, seed=1, **fields)


def respond(**fields):
    return client.responses.create(model=MODEL, max_output_tokens=48, temperature=0, **fields)


def plain_answers_go_back():
    first = chat(messages=[ASKED], logprobs=True, top_logprobs=2)
    history = [ASKED, first.choices[0].message.model_dump(), {'role': 'user', 'content': 'And in Oslo?', 'name': None}]
    assert chat(messages=history).choices[0].message.content
    # With an end token, since the helper raises at the longest length.
    with client.chat.completions.stream(
        model=MODEL, messages=history, max_tokens=8, logit_bias={2: 100}, extra_body={'min_tokens': 3}
    ) as stream:
        last = stream.get_final_completion().choices[0].message
    assert chat(messages=[*history, last.model_dump(), ASKED]).choices[0].message.content


def calls_go_back():
    tools = [{'type': 'function', 'function': WEATHER}]
    first = chat(messages=[ASKED], tools=tools, tool_choice='required')
    message = first.choices[0].message
    result = {'role': 'tool', 'tool_call_id': message.tool_calls[0].id, 'content': '{"degrees": 21}', 'name': None}
    assert chat(messages=[ASKED, message.model_dump(), result], tools=tools, tool_choice='none').choices


def responses_go_back():
    first = respond(input=[ASKED], include=['message.output_text.logprobs'])
    items = [item.model_dump() for item in first.output]
    second = respond(input=[ASKED, *items, {'role': 'user', 'content': 'And in Oslo?'}])
    assert second.output_text
    references = [{'type': 'item_reference', 'id': item.id} for item in first.output]
    third = respond(input=[ASKED, *references, {'role': 'user', 'content': 'And in Oslo?'}])
    assert third.output_text == second.output_text


def calls_of_responses_go_back():
    tools = [{'type': 'function', **WEATHER}]
    first = respond(input=[ASKED], tools=tools, tool_choice='required')
    items = [item.model_dump() for item in first.output]
    result = {'type': 'function_call_output', 'call_id': first.output[0].call_id, 'output': '21', 'id': None,
              'status': None}
    assert respond(input=[ASKED, *items, result], tools=tools, tool_choice='none').output_text
    listed = client.responses.input_items.list(respond(input=[ASKED, *items, result]).id, order='asc').data
    assert respond(input=[item.model_dump() for item in listed]).output_text


def whole_responses_go_back():
    first = respond(input='Hello')
    dumped = first.model_dump()
    fields = ['instructions', 'metadata', 'parallel_tool_calls', 'tool_choice', 'tools', 'top_p', 'background',
              'previous_response_id', 'prompt_cache_key', 'reasoning', 'safety_identifier', 'service_tier', 'text',
              'top_logprobs', 'truncation', 'user', 'max_tool_calls']
    assert respond(input='Hello', **{name: dumped[name] for name in fields if name in dumped}).output_text


def ends_of_ranges():
    for seed in (-1, -2 ** 63, 2 ** 63 - 1):
        texts = [client.chat.completions.create(model=MODEL, messages=[ASKED], max_tokens=8, seed=seed)
                 .choices[0].message.content for _ in range(2)]
        assert texts[0] == texts[1], seed
    greedy = chat(messages=[ASKED]).choices[0].message.content
    assert client.chat.completions.create(
        model=MODEL, messages=[ASKED], max_tokens=48, top_p=0, logprobs=False, top_logprobs=0, temperature=2,
        presence_penalty=0, frequency_penalty=0, n=1, stop=None, logit_bias=None, user=None
    ).choices[0].message.content == greedy


def offsets_index_texts():
    choice = client.completions.create(
        model=MODEL, prompt='🙂🙂 a b', echo=True, logprobs=0, max_tokens=1, temperature=0
    ).choices[0]
    assert choice.logprobs.text_offset == [0, 0, 1, 1, 2, 4, 6], choice.logprobs.text_offset
    for token, offset in zip(choice.logprobs.tokens, choice.logprobs.text_offset):
        assert token.startswith('bytes:') or choice.text[offset:].startswith(token)


def many_inputs():
    texts = [f'text {number}' for number in range(300)]
    embedded = client.embeddings.create(model=MODEL, input=texts)
    assert [one.index for one in embedded.data] == list(range(300))
    alone = client.embeddings.create(model=MODEL, input=texts[299], encoding_format='float').data[0].embedding
    assert max(abs(a - b) for a, b in zip(alone, embedded.data[299].embedding)) < 1e-3


if __name__ == '__main__':
    failed = []
    for check in (plain_answers_go_back, calls_go_back, responses_go_back, calls_of_responses_go_back,
                  whole_responses_go_back, ends_of_ranges, offsets_index_texts, many_inputs):
        try:
            check()
            print('ok', check.__name__)
        except (openai.APIError, AssertionError) as error:
            failed.append(check.__name__)
            print('not ok', check.__name__, repr(error)[:600])
    raise SystemExit(1 if failed else 0)
