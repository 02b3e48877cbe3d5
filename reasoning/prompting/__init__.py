"""From conversations to tokens: vocabulary, chat template, the wording for each family of models."""
